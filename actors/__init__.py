"""raycctv on a Ray cluster: thin actors around the library :mod:`raycctv`.

    supervisor   holds the wanted state, starts and stops the others        one a cluster
    reader       one camera: packets, frames, motion, events                one a camera
    detector     MobileNet, asked by all readers in batches                 a shared pool
    storage      recorders, relays, catalog, rotation                       one a machine with disks
    sink         events into the local log and the catalog                  one a machine with disks
    console      pages and API, where it is configured                      one a cluster, beside the footage

There is no algorithm here, and no import of OpenCV, PyAV, OpenVINO or torch at module level: an actor's process loads what
it needs when it starts. All actors are named (:mod:`.names`), detached, and restarted by Ray.
"""
