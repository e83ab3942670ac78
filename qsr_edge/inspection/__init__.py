"""What a file is, what it holds and what running it costs; asks the back ends, and knows none by name."""
