"""Incidents: runs that used members who, as we know by now, were out when they were frozen; from finding to closing."""
