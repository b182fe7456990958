"""Made-up traffic, marked synthetic, for demonstrations, reports and benchmarks."""
