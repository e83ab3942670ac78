"""What a browser may do with the site, as headers for a server and as a policy in the page itself."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # WebAssembly and nothing else is compiled
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""Nothing is loaded from elsewhere, and nothing is sent anywhere but to where the page came from."""

HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",  # the last: in headers only
    # Both are what memory shared by threads needs.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def headers_file() -> str:
    """The headers for hosts that read a file ``_headers`` (Netlify, Cloudflare Pages)."""
    return "/*\n" + "".join(f"  {name}: {value}\n" for name, value in HEADERS.items())
