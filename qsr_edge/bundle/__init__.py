"""What ships: models, manifest, integrity."""
