"""What runs of the bench found, as one self-contained page, a table or JSON; the page needs ``qsr-edge[report]``."""
