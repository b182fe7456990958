"""Measures the guards of canaries: how soon harm is seen, how often innocence is not believed."""
