"""People of limbs, trunk and head, standing, walking or sitting."""

import numpy as np

from dad.data.scenes.rich.meshes import ellipsoid, limb, merged, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette


def person(palette: Palette, *, sitting: bool = False) -> list[Part]:
    """One person, 1.55 to 1.95 m tall standing, feet at the origin, facing -y; sitting: hips at 0.48 m over y = 0."""
    rng = palette.rng
    tall = rng.uniform(1.55, 1.95)
    stout = rng.uniform(0.85, 1.2)
    skin = palette.flat(np.array([0.75, 0.5, 0.37]) * rng.uniform(0.25, 1.0))
    shirt = palette.draw("plain", "weave", "stripes", "plaid", "cloud", scale=(0.04, 0.2), saturation=1.0, photo=0.5)
    trousers = palette.draw("plain", "weave", "cloud", scale=(0.05, 0.2), value=(0.03, 0.4), saturation=0.5, photo=0.2)
    shoe, hair = palette.flat(rng.uniform(0.02, 0.3)), palette.flat(np.array([0.3, 0.2, 0.12]) * rng.uniform(0.1, 1.3))
    hip = 0.5 * tall if not sitting else 0.52
    shoulder = hip + 0.31 * tall
    lean = rng.normal(0, 0.03) - (0.02 if not sitting else -0.04)
    stride = rng.uniform(0, 0.34) * rng.choice([-1, 1]) if not sitting and rng.random() < 0.65 else 0.03
    width = 0.105 * stout
    legs, feet = [], []
    for side in (-1, 1):
        x = side * width
        if sitting:
            knee = np.array([x * 1.3, -0.42, 0.5])
            foot = np.array([x * 1.3, -0.42 + rng.uniform(-0.12, 0.15), 0.07])
        else:
            step = side * stride
            knee = np.array([x * 1.05, step * 0.5 - 0.03 - 0.04 * abs(step), 0.5 * hip])
            foot = np.array([x * 1.05, step + (0.08 if step > 0.1 else 0), 0.07 + (0.05 if step > 0.12 else 0)])
        legs += [
            limb((x, 0, hip), knee, 0.092 * stout, 0.065 * stout),
            limb(knee, foot + [0, 0, 0.02], 0.066 * stout, 0.045),
        ]
        feet.append(ellipsoid((0.05, 0.13, 0.05), foot + [0, -0.06, -0.02], sides=10))
    neck = np.array([0, lean, shoulder + 0.03])
    spine = np.array(
        [[0, 0, hip - 0.06], [0, 0, hip + 0.05], [0, lean * 0.5, hip + 0.16 * tall], [0, lean, shoulder - 0.04], neck]
    )
    trunk = [tube(spine, np.array([0.14, 0.165, 0.15, 0.195, 0.075]) * stout, sides=14, flat=0.64)]
    hands = []
    for side in (-1, 1):
        joint = np.array([side * 0.168 * stout, lean, shoulder - 0.035])
        swing = -side * stride * 0.7 + rng.normal(0, 0.04)
        elbow = joint + [side * rng.uniform(0.02, 0.12), swing * 0.4, -0.17 * tall]
        bend = rng.uniform(-0.25, 0.0) if not sitting else -0.22
        hand = elbow + [
            side * rng.uniform(-0.06, 0.03),
            swing * 0.6 + bend,
            -0.14 * tall + (0.1 if bend < -0.15 else 0),
        ]
        trunk += [limb(joint, elbow, 0.057 * stout, 0.045)]
        sleeve = limb(elbow, hand, 0.042, 0.032)
        hands += [ellipsoid((0.035, 0.03, 0.06), hand + [0, 0, -0.04], sides=8)]
        (trunk if rng.random() < 0.6 else hands).append(sleeve)
    head = np.array([0, lean - 0.015, shoulder + 0.155])
    skull = ellipsoid((0.078, 0.1, 0.122), head)
    parts = [
        (merged(legs), trousers),
        (merged(feet), shoe),
        (merged(trunk), shirt),
        (
            merged(
                [
                    skull,
                    tube([neck - [0, 0, 0.05], head], 0.055),
                    ellipsoid((0.018, 0.03, 0.025), head + [0, -0.1, -0.02], sides=6),
                    *hands,
                ]
            ),
            skin,
        ),
        (ellipsoid((0.087, 0.105, 0.1), head + [0, 0.022, 0.045], bumps=0.05, rng=rng), hair),
    ]
    extra = rng.random()
    if extra < 0.2:  # a bag on the back
        parts.append(
            (
                ellipsoid((0.15, 0.1, 0.22), (0, lean + 0.16, shoulder - 0.2), sides=12),
                palette.draw("weave", "plain", saturation=1.0),
            )
        )
    elif extra < 0.35:  # a skirt or a coat
        bell = tube(
            [(0, 0, hip + 0.12), (0, 0, hip), (0, 0, hip - 0.3 * (not sitting) - 0.05)],
            np.array([0.15, 0.18, 0.26]) * stout,
            sides=16,
            flat=0.75,
        )
        parts.append((bell, shirt if rng.random() < 0.5 else trousers))
    elif extra < 0.5:  # a hat
        parts.append(
            (
                merged(
                    [
                        ellipsoid((0.1, 0.12, 0.05), head + [0, 0, 0.1]),
                        ellipsoid((0.14, 0.16, 0.012), head + [0, -0.03, 0.07]),
                    ]
                ),
                shoe,
            )
        )
    return parts
