"""How each of the five structures is shown: as what it is, and with the way from every item to its source."""
