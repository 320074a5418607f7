"""Call records: what a mobile network notes of its subscribers' data use and calls, made up.

Record i depends on the seed and i alone, so what a crash interrupts is made again as it was.
"""
