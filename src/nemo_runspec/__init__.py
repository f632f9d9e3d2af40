"""Run specifications for recipes; its artifact modules are doors onto `nemotron.kit`."""
