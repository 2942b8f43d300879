"""How long a test waits for what it needs before it fails.

A slow machine needs longer; a test that passes never waits so long. Where a test must tell one cause from
another that comes later by itself, it puts the later one off for longer than this.
"""

from __future__ import annotations

PATIENCE_S = 120.0
FAR_OFF_S = 1200.0
"""An interval of the product that is not to come within a test."""
