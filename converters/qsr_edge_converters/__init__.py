"""Back ends of qsr-edge, one package per runtime; found by entry points, so none is imported before it is asked for."""
