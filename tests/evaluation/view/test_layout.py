"""A viewer opens with a panel for everything there is, and none for what there is not."""

import pytest

from perception.evaluation.view.layout import Layout


def panels(layout):
    return {type(view).__name__: view for view in views(layout.blueprint().root_container)}


def names(layout):
    return [view.name for view in views(layout.blueprint().root_container) if type(view).__name__ == "Spatial3DView"]


def views(part):
    contents = getattr(part, "contents", None)
    children = [child for child in contents or () if hasattr(child, "blueprint_path")]
    return [view for child in children for view in views(child)] if children else [part]


def test_points_and_boxes_share_one_view():
    for points in ({"clouds": ["points"]}, {"labelled": ["points"]}):
        layout = Layout("lidar", boxes=["truth/objects"], **points)
        assert names(layout) == ["scene"]
        assert set(panels(layout)) == {"Spatial3DView"}


def test_labellings_of_the_same_points_lie_beside_each_other():
    assert names(Layout("lidar", labelled=["points", "net/points"])) == ["scene", "net/points"]
    assert names(Layout("lidar", clouds=["raw"], labelled=["points", "net"])) == ["scene", "points", "net"]


def test_every_other_kind_has_its_panel():
    layout = Layout("lidar", clouds=["points"], images=["camera"], plots={"ms": ["net/ms"]}, texts=["log"])
    assert set(panels(layout)) == {"Spatial3DView", "Spatial2DView", "TimeSeriesView", "TextLogView"}


def test_views_stand_still_in_the_fixed_frame():
    view = panels(Layout("odom", clouds=["points"]))["Spatial3DView"]
    assert view.properties["SpatialInformation"].target_frame.as_arrow_array().to_pylist() == ["odom"]


@pytest.mark.parametrize("follows", [False, True])
def test_the_eye_follows_the_cloud_where_that_is_asked_for(follows):
    view = panels(Layout("odom", follows, clouds=["points"]))["Spatial3DView"]
    tracked = view.properties["EyeControls3D"].tracking_entity
    assert (tracked.as_arrow_array().to_pylist() if tracked else []) == (["points"] if follows else [])


def test_boxes_are_drawn_into_the_images_of_calibrated_cameras():
    layout = Layout("lidar", boxes=["boxes"], images=["front", "rear"], calibrated=["front"])
    by_name = {view.name: view for view in views(layout.blueprint().root_container)}
    assert by_name["front"].contents == ["front", "boxes"]
    assert by_name["rear"].contents == ["rear"]
    assert by_name["scene"].contents == ["boxes", "front"]
