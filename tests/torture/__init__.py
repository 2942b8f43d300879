"""`ringpost torture`: a whole Ringpost under seeded traffic and seeded faults, and a check of its history."""
