"""What is on a crop: :mod:`.regions` (which crops), :mod:`.weights` (install), :mod:`.backends` (run), :mod:`.boxes`.

:mod:`.ssdlite` and :mod:`.torchvision_ssdlite` are the networks, and need torch. Everything that a detector process on
OpenVINO imports does not.
"""
