"""A bundle in the browser: the static site, LiteRT.js for it, and a small server."""
