"""Evaluate networks on bags in the running graph: `ros2 launch perception evaluate.launch.py bag:=BAG models:=NAMES`.

It runs `perception evaluate --online`, which starts the graph in a ROS domain of its own, and ends with it.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration

from perception.bringup.evaluate.launching import EVALUATE_ARGUMENTS, REQUIRED, evaluate_words
from perception.bringup.graph.children import PERCEPTION

#: After Ctrl-C, what has come out until then is judged and reported.
REPORT_TIMEOUT_S = "120"


def generate_launch_description() -> LaunchDescription:
    declarations = [
        DeclareLaunchArgument(
            argument.name,
            default_value=None if argument.name in REQUIRED else argument.default,
            description=argument.description,
        )
        for argument in EVALUATE_ARGUMENTS
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list:
    values = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in EVALUATE_ARGUMENTS}
    evaluation = ExecuteProcess(
        cmd=[*PERCEPTION, *evaluate_words(values)],
        output="screen",
        sigterm_timeout=REPORT_TIMEOUT_S,
        on_exit=Shutdown(reason="the evaluation has ended"),
    )
    return [evaluation]
