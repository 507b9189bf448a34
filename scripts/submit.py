"""A raycctv command for `ray submit`, which runs a file on the head of a cluster.

ray submit cluster.yaml scripts/submit.py up cameras.yaml
"""

from raycctv.cli.main import main

if __name__ == "__main__":
    main()
