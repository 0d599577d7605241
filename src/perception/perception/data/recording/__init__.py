"""Recorded bags as they are found: any storage, split, compressed, cut short or with damaged places."""
