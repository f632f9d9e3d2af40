"""The Nemotron namespace; the toolkit lives in `nemotron.kit`."""
