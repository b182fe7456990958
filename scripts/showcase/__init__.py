"""Made-up traffic, a tour and questions to try the product with."""
