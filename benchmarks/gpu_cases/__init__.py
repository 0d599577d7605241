"""What benchmarks/gpu_operations.py times, a module a family: `operations(setting)` yields Operation objects."""
