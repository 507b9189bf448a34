"""What is on a crop: :mod:`.regions` (which crops), :mod:`.backends` (run a network), :mod:`.boxes`, :mod:`.labels`.

:mod:`.models` knows the networks and where their weights lie; :mod:`.weights` and :mod:`.npm` install them.

:mod:`.ssdlite` and :mod:`.torchvision_ssdlite` are the networks, and need torch. Everything that a detector process on
OpenVINO imports does not.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
"""OpenVINO and NNCF then send none; else they tell Google Analytics of every start, from processes that they fork."""
