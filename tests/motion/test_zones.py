from raycctv.motion.zones import unmasked, zones_at

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))


def test_unmasked_is_zero_inside_any_mask() -> None:
    area = unmasked([LEFT, TOP], width_px=100, height_px=50)
    assert area.shape == (50, 100)
    assert set(area[30:, 60:].ravel()) == {255}
    assert set(area[:20].ravel()) == set(area[:, :40].ravel()) == {0}


def test_zones_at_names_every_zone_in_their_order() -> None:
    zones = {"left": LEFT, "top": TOP}
    assert zones_at(zones, 0.2, 0.2) == ("left", "top")
    assert zones_at(zones, 0.2, 0.9) == ("left",)
    assert zones_at(zones, 0.9, 0.9) == ()


def test_zones_at_counts_the_edge_in() -> None:
    assert zones_at({"left": LEFT}, 0.5, 1.0) == ("left",)
