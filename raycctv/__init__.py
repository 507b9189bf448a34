"""raycctv: CCTV monitoring and backup as a cluster of Ray actors.

This package is the library: every algorithm and all I/O with cameras, disks and servers. It never imports Ray;
the actors that run it on a cluster are in the package :mod:`actors`.
"""

__version__ = "0.1.0"
