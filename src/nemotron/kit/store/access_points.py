"""Access points of S3, named by their ARN: which host answers for one, and what is the prefix in its URL.

Hosts are as in Amazon's "Using Amazon S3 access points"; obstore knows buckets alone.
"""

import re
from dataclasses import dataclass

from nemotron.kit.errors import MisuseError

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):s3:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):accesspoint[/:]"
    r"(?P<name>[a-z0-9][a-z0-9-]{1,48}[a-z0-9])(?:/(?P<prefix>.*))?",
    re.ASCII | re.DOTALL,
)
_DOMAINS = {"aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """Where an access point answers.

    Attributes:
        name: of the access point.
        region: where it is.
        endpoint: the URL of its host; a key follows it at once.
        prefix: the rest of the URL that named it.
    """

    name: str
    region: str
    endpoint: str
    prefix: str


def access_point(place: str) -> AccessPoint | None:
    """The access point in a URL, given without its `s3://`; None if a bucket is named, not an ARN.

    Raises:
        MisuseError: it is the ARN of something else, such as an outpost.

    >>> access_point("arn:aws:s3:us-west-2:123456789012:accesspoint/team/artifacts")
    ... # doctest: +NORMALIZE_WHITESPACE
    AccessPoint(name='team', region='us-west-2',
        endpoint='https://team-123456789012.s3-accesspoint.us-west-2.amazonaws.com', prefix='artifacts')
    """
    if not place.startswith("arn:"):
        return None
    found = _ARN.fullmatch(place)
    if found is None or "?" in place or "#" in place or "@" in place:
        raise MisuseError(
            "Cannot open the root s3://arn:…: it is no ARN of an access point, which reads "
            "s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/prefix; give anything else by its alias, "
            "as s3://NAME-…-s3alias/prefix"
        )
    name, account, region = found["name"], found["account"], found["region"]
    domain = _DOMAINS.get(found["partition"], "amazonaws.com")
    host = f"https://{name}-{account}.s3-accesspoint.{region}.{domain}"
    return AccessPoint(name, region, host, found["prefix"] or "")
