"""Which tier a request goes to, why, and with which propensity. It opens no database."""
