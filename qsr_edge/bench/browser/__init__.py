"""A browser as a device: a page that this program serves measures the bundle, and sends what it finds."""
