"""The breaker: open after a failure, one try after a rest, closed after a success."""

from nemotron.kit.integrations.wandb.breaker import Breaker


def test_a_failure_is_worth_one_warning_and_a_rest() -> None:
    now = [100.0]
    breaker = Breaker(clock=lambda: now[0], rest_s=10)
    assert breaker.is_closed
    assert all(breaker.may_try() for _ in range(3))
    assert breaker.failed("no answer")
    assert (breaker.is_closed, breaker.why) == (False, "no answer")
    assert not breaker.failed("still none")
    now[0] += 9.9
    assert not breaker.may_try()
    now[0] += 0.2
    assert [breaker.may_try() for _ in range(3)] == [True, False, False]
    assert breaker.failed("again") is False
    now[0] += 9
    assert not breaker.may_try()
    now[0] += 2
    assert breaker.may_try()
    assert breaker.succeeded()
    assert breaker.is_closed
    assert breaker.may_try()
    assert not breaker.succeeded()


def test_a_try_that_never_comes_back_is_not_the_last_one() -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0], rest_s=10)
    breaker.failed("no answer")
    now[0] = 11
    assert breaker.may_try()
    now[0] = 22
    assert breaker.may_try()
