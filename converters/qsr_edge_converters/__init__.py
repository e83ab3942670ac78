"""Back ends of qsr-edge, one package per runtime; found by entry points, so that none is imported before it is asked for."""
