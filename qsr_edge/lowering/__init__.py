"""From trained networks to integer graphs; numpy only."""
