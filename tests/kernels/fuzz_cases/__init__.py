"""Cases of the fuzz test, a module a family: every function `fuzz_NAME(draw)` calls operations with drawn arguments."""
