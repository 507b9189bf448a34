"""Words that the console is given by others and shows in the reader's language: what events are of, roles, states."""

from raycctv.console.languages import N_

KINDS = (
    N_("motion"), N_("camera offline"), N_("recording gap"), N_("detector overload"), N_("sink behind"), N_("disk low"),
)  # fmt: skip
"""Kinds of events that are no label, with a space for each underscore."""

ROLES = (N_("viewer"), N_("operator"), N_("administrator"))

REASONS = (N_("superseded"), N_("detector unavailable"), N_("verdict timeout"), N_("disconnected"))
"""Why crops were dropped, with a space for each underscore."""

ACTS = (
    N_("changed account"), N_("changed own password"), N_("deleted an export"), N_("downloaded"), N_("exported"),
    N_("logged in"),
    N_("logged out"), N_("made account"), N_("made token"), N_("marked as false alarm"), N_("protected"), N_("removed account"),
    N_("removed token"), N_("saw all cameras"), N_("saw event"), N_("saw footage"), N_("saw live"), N_("set password"),
    N_("set up"), N_("wrong password"),
)  # fmt: skip
"""What the audit log tells."""

LABELS = (
    N_("person"), N_("bicycle"), N_("car"), N_("motorcycle"), N_("airplane"), N_("bus"), N_("train"), N_("truck"), N_("boat"),
    N_("traffic light"), N_("fire hydrant"), N_("stop sign"), N_("parking meter"), N_("bench"), N_("bird"), N_("cat"),
    N_("dog"), N_("horse"), N_("sheep"), N_("cow"), N_("elephant"), N_("bear"), N_("zebra"), N_("giraffe"), N_("backpack"),
    N_("umbrella"), N_("handbag"), N_("tie"), N_("suitcase"), N_("frisbee"), N_("skis"), N_("snowboard"), N_("sports ball"),
    N_("kite"), N_("baseball bat"), N_("baseball glove"), N_("skateboard"), N_("surfboard"), N_("tennis racket"),
    N_("bottle"), N_("wine glass"), N_("cup"), N_("fork"), N_("knife"), N_("spoon"), N_("bowl"), N_("banana"), N_("apple"),
    N_("sandwich"), N_("orange"), N_("broccoli"), N_("carrot"), N_("hot dog"), N_("pizza"), N_("donut"), N_("cake"),
    N_("chair"), N_("couch"), N_("potted plant"), N_("bed"), N_("dining table"), N_("toilet"), N_("tv"), N_("laptop"),
    N_("mouse"), N_("remote"), N_("keyboard"), N_("cell phone"), N_("microwave"), N_("oven"), N_("toaster"), N_("sink"),
    N_("refrigerator"), N_("book"), N_("clock"), N_("vase"), N_("scissors"), N_("teddy bear"), N_("hair drier"),
    N_("toothbrush"),
)  # fmt: skip
"""COCO's, as the detectors name them."""
