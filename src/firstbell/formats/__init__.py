"""How dates are written, by language. Day before month throughout: a morning list is read by day."""
