"""What evaluators found: tables, figures, samples, statistics, comparisons."""
