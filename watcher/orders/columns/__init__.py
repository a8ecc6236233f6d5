"""Column store: very many orders in little memory. Pure."""
