"""Does routing pay? Questions with known answers, asked in several ways, and figures from what was kept of it."""
