"""raycctv on a Ray cluster: thin actors around the library :mod:`raycctv`.

    supervisor   holds the wanted state, starts and stops the others        one a cluster
    reader       packets, frames, motion, events                            one a camera, or for several
    detector     MobileNet, asked by readers in batches                     a shared pool
    storage      recorders, relays, catalog, rotation                       one a node with disks
    sink         events into the local log and the catalog                  one a node with disks
    console      pages and API, where it is configured                      one a cluster, beside the footage

What runs where is decided without Ray (:mod:`.plan`, :mod:`.placement`, :mod:`.reconcile`); :mod:`.fleet` makes it so.

There is no algorithm here, and no import of OpenCV, PyAV, OpenVINO or torch at module level: an actor's process loads what
it needs when it starts. All actors are named (:mod:`.names`), detached, and restarted by Ray.
"""
