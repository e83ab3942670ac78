"""Images: reading and writing, bicubic resampling, data sets."""
