"""Everything that fits or measures. It may use scikit-learn and scipy; serving never imports it."""
