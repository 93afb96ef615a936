"""From a rich scene to pixels: an exact ray per pixel, more at edges, soft shadows, and a lens with its faults."""

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from dad.data.scenes.materials import noise
from dad.data.scenes.rich.stage import Lighting, Setting, Stage
from dad.data.scenes.rich.surfaces import Photographs, colour_of

Generator = np.random.Generator
_AROUND = 4  # rays per place that look how much sky and room it sees
_UP, _RIGHT = (np.array(axis, np.float32) for axis in ([0, 0, 1], [1, 0, 0]))
_TOWARDS = 3  # rays per place towards every lamp


class Tracer:
    """The merged meshes of a stage inside an Embree scene."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        counts = np.cumsum([0] + [len(mesh.vertices) for mesh in stage.meshes[:-1]])
        vertices = np.concatenate([mesh.vertices for mesh in stage.meshes]).astype(np.float32)
        faces = np.concatenate([mesh.faces + start for mesh, start in zip(stage.meshes, counts, strict=True)]).astype(
            np.int32
        )
        sizes = [len(mesh.faces) for mesh in stage.meshes]
        self.owner = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
        smooth = np.repeat([mesh.smooth for mesh in stage.meshes], sizes)
        corners = vertices[faces]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        shared = np.zeros_like(vertices)
        for corner in range(3):
            for axis in range(3):
                shared[:, axis] += np.bincount(faces[:, corner], flat[:, axis], len(vertices))
        self.flat = (flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        shared /= np.maximum(np.linalg.norm(shared, axis=1, keepdims=True), 1e-12)
        self.smooth, self.faces, self.shared = smooth, faces, shared
        self.vertices = vertices
        self.scene = rtcore_scene.EmbreeScene()
        self.mesh = TriangleMesh(self.scene, vertices, faces)  # Embree does not own it: keep it alive

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First hit: distance in lengths of the direction (inf: nothing), face (-1: nothing), position in it (u,v)."""
        origins = np.ascontiguousarray(np.broadcast_to(origins, directions.shape), np.float32)
        hit = self.scene.run(origins, np.ascontiguousarray(directions, np.float32), output=1)
        face = hit["primID"]
        return np.where(face >= 0, hit["tfar"], np.inf).astype(np.float32), face, np.stack([hit["u"], hit["v"]], 1)

    def blocked(self, points: np.ndarray, towards: np.ndarray, reach: np.ndarray | float) -> np.ndarray:
        """Whether something is within `reach` of the points in the directions `towards` (unit vectors), (N,) bool."""
        return self.first(points, towards)[0] < reach

    def normals(self, face: np.ndarray, uv: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normals of the faces and, interpolated, for shading, both (N,3), towards where the rays come from."""
        flat = self.flat[face]
        flat = np.where((np.einsum("ij,ij->i", flat, directions) > 0)[:, None], -flat, flat)
        shaded = flat.copy()
        rows = np.flatnonzero(self.smooth[face])
        corners = self.shared[self.faces[face[rows]]]
        u, v = uv[rows, :1], uv[rows, 1:]
        bent = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
        bent = np.where((np.einsum("ij,ij->i", bent, flat[rows]) < 0)[:, None], -bent, bent)
        shaded[rows] = bent / np.maximum(np.linalg.norm(bent, axis=1, keepdims=True), 1e-6)
        return flat, shaded


def _basis(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    helper = np.where((np.abs(normals[:, 2]) < 0.9)[:, None], _UP, _RIGHT)
    across = np.cross(normals, helper)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return across, np.cross(normals, across)


def sky(directions: np.ndarray, lighting: Lighting) -> np.ndarray:
    """Linear RGB (N,3) of the sky: a gradient, clouds, a glow around the sun."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    up = np.clip(unit[:, 2:], 0, 1) ** 0.6
    colour = lighting.gradient[0] * (1 - up) + lighting.gradient[1] * up
    plane = (unit[:, :2] / np.maximum(unit[:, 2:], 0.06)).astype(np.float32)
    shape = 0.65 * noise(plane, 1.1) + 0.35 * noise(plane + 5.0, 0.25)
    cover = np.clip(4 * (shape - 0.75 + 0.5 * lighting.clouds), 0, 1)[:, None] * np.clip(up * 4, 0, 1)
    bright = lighting.gradient.max() * 1.05
    colour = colour * (1 - cover) + bright * (0.75 + 0.25 * shape[:, None]) * cover
    if lighting.sun is not None:
        near = np.clip(unit @ lighting.sun, 0, 1)[:, None]
        colour = colour + 0.3 * lighting.sunlight * near**40 + 4 * lighting.sunlight * (near > 0.9995)
    return colour


class Shader:
    """Colours of hits: textures, sun and lamps with shadows, light from around, highlights."""

    def __init__(
        self, tracer: Tracer, lighting: Lighting, photographs: Photographs | None, pixel: float, rng: Generator
    ) -> None:
        self.tracer, self.lighting, self.photographs, self.pixel, self.rng = tracer, lighting, photographs, pixel, rng

    def surroundings(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """What needs many rays and changes slowly, (N, 3 + lamps): light from all sides, each lamp's visible share."""
        return np.concatenate([self.around(points, normals), self.seen(points, normals)], 1)

    def around(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Light from sky and ground (N,3) that reaches the points past what stands around them."""
        across, other = _basis(normals)
        total = np.zeros((len(points), 3), np.float32)
        ways = np.arange(_AROUND)
        for way in ways:
            angle = 2 * np.pi * (way / _AROUND + self.rng.random(len(points)))
            lift = np.sqrt((way + self.rng.random(len(points))) / _AROUND)
            side = np.sqrt(1 - lift**2)
            ray = (
                (side * np.cos(angle))[:, None] * across
                + (side * np.sin(angle))[:, None] * other
                + lift[:, None] * normals
            )
            distance = self.tracer.first(points, ray)[0]
            open_ = np.clip(distance / self.lighting.reach, 0, 1)[:, None]
            up = np.clip(0.5 + ray[:, 2:] * 1.5, 0, 1)
            total += (self.lighting.sky * up + self.lighting.ground * (1 - up)) * (0.12 + 0.88 * open_)
        return total / _AROUND

    def seen(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """The share of every lamp that the points see, (N, lamps)."""
        shares = np.zeros((len(points), len(self.lighting.lamps)), np.float32)
        for number, lamp in enumerate(self.lighting.lamps):
            facing = np.flatnonzero(np.einsum("ij,ij->i", normals, lamp.position - points) > 0)
            for _ in range(_TOWARDS):
                aim = self.rng.normal(size=(len(facing), 3))
                aim *= lamp.radius / np.linalg.norm(aim, axis=1, keepdims=True)
                offset = lamp.position + aim - points[facing]
                reach = np.linalg.norm(offset, axis=1)
                free = ~self.tracer.blocked(points[facing], offset / reach[:, None], reach - 1.2 * lamp.radius)
                shares[facing, number] += free / np.float32(_TOWARDS)
        return shares

    def shade(
        self,
        points: np.ndarray,
        face: np.ndarray,
        uv: np.ndarray,
        directions: np.ndarray,
        distance: np.ndarray,
        around: np.ndarray,
    ) -> np.ndarray:
        """Linear RGB (N,3) of hits; `around` is what `surroundings` gives, distance in metres of depth."""
        flat, normals = self.tracer.normals(face, uv, directions)
        view = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
        facing = np.abs(np.einsum("ij,ij->i", flat, view))
        footprint = distance * self.pixel / np.maximum(facing, 0.25)
        colour, gloss, glow = self._surface(points, face, normals, footprint)
        light = around[:, :3].copy()
        shine = np.zeros(len(points), np.float32)
        lighting = self.lighting
        if lighting.sun is not None:
            towards = lighting.sun + 0.002 * self.rng.normal(size=points.shape)
            lambert = np.clip(normals @ lighting.sun, 0, 1) * (flat @ lighting.sun > 0)
            lit = lambert > 0
            lit[lit] = ~self.tracer.blocked(points[lit] + 3e-3 * flat[lit], towards[lit], 300.0)
            light += (lambert * lit)[:, None] * lighting.sunlight
            half = view + lighting.sun
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            shine += lit * np.clip(np.einsum("ij,ij->i", half, normals), 0, 1) ** 60
        for number, lamp in enumerate(lighting.lamps):
            offset = lamp.position - points
            reach = np.linalg.norm(offset, axis=1)
            lambert = np.clip(np.einsum("ij,ij->i", normals, offset) / reach, 0, 1)
            light += (lambert * around[:, 3 + number] / (0.35 + reach**2))[:, None] * lamp.power
        colour = colour * light + colour * glow[:, None]
        rows = np.flatnonzero(gloss > 0)
        if len(rows):
            n, v = normals[rows], view[rows]
            mirrored = 2 * np.einsum("ij,ij->i", n, v)[:, None] * n - v
            fresnel = (0.05 + 0.5 * (1 - np.clip(np.einsum("ij,ij->i", n, v), 0, 1)) ** 3)[:, None] * gloss[rows, None]
            seen = (
                sky(mirrored, lighting) if lighting.sun is not None else np.broadcast_to(lighting.sky, mirrored.shape)
            )
            seen = np.where(mirrored[:, 2:] > 0, seen, lighting.ground * 0.5)
            colour[rows] = (
                colour[rows] * (1 - fresnel)
                + fresnel * seen
                + (gloss[rows] * shine[rows])[:, None] * 0.5 * lighting.sunlight
            )
        return colour

    def _surface(
        self, points: np.ndarray, face: np.ndarray, normals: np.ndarray, footprint: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        owner = self.tracer.owner[face]
        order = np.argsort(owner, kind="stable")
        present, starts = np.unique(owner[order], return_index=True)
        colour = np.empty((len(points), 3), np.float32)
        gloss, glow = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
        for index, rows in zip(present, np.split(order, starts[1:]), strict=True):
            surface, (origin, turn) = self.tracer.stage.surfaces[index], self.tracer.stage.frames[index]
            c, s = np.cos(turn), np.sin(turn)
            back = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)  # row vectors times this: turned back
            local, facing = ((points[rows] - origin).astype(np.float32) @ back, normals[rows] @ back)
            colour[rows] = colour_of(surface, local, facing, footprint[rows], self.photographs)
            gloss[rows], glow[rows] = surface.gloss, surface.glow
        return colour, gloss, glow


def _spread(around: np.ndarray, depth: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """What was found on every second pixel (h,w,C), smoothed over neighbours on the same surface."""
    total, weight = np.zeros_like(around), np.zeros(depth.shape, np.float32)
    for dy in (-2, -1, 0, 1, 2):
        for dx in (-2, -1, 0, 1, 2):
            shift = ((dy, dx), (0, 1))
            other_depth, other_normal = np.roll(depth, *shift), np.roll(normals, *shift)
            same = (np.abs(other_depth - depth) < 0.03 * depth) * np.clip(
                np.einsum("ijk,ijk->ij", other_normal, normals), 0, 1
            ) ** 4
            total += np.roll(around, *shift) * same[..., None]
            weight += same
    return total / np.maximum(weight, 1e-3)[..., None]


def _enlarged(coarse: np.ndarray, coarse_depth: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """A map of every second pixel (h,w,C) at all (H,W,C): each takes the neighbour nearest to it in depth."""
    h, w = coarse_depth.shape
    rows, columns = np.arange(depth.shape[0])[:, None], np.arange(depth.shape[1])[None]
    best, found = np.full(depth.shape, np.inf, np.float32), np.zeros((*depth.shape, coarse.shape[-1]), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            i, j = np.minimum(rows // 2 + dy * (rows % 2), h - 1), np.minimum(columns // 2 + dx * (columns % 2), w - 1)
            gap = np.abs(coarse_depth[i, j] - depth)
            nearer = gap < best
            best = np.where(nearer, gap, best)
            found = np.where(nearer[..., None], coarse[i, j], found)
    return found


def _edges(owner: np.ndarray, depth: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Pixels (H,W) whose neighbour shows another part, distance or slope: where one ray is not enough."""
    edge = np.zeros(owner.shape, bool)
    for before, after in (
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        changes = owner[before] != owner[after]
        changes |= np.abs(depth[before] - depth[after]) > 0.02 * np.minimum(depth[before], depth[after])
        changes |= np.einsum("ijk,ijk->ij", normals[before], normals[after]) < 0.9
        edge[before] |= changes
        edge[after] |= changes
    return edge


def linear_image(
    tracer: Tracer,
    setting: Setting,
    rotation: np.ndarray,
    focal: float,
    height: int,
    width: int,
    photographs: Photographs | None,
    rng: Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Linear RGB float32 (H,W,3) and depth float32 (H,W) in metres along the optical axis, inf where nothing is."""
    origin = setting.camera.position

    def rays(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """World directions (N,3) through pixel positions, of length 1 along the optical axis, so distance is depth."""
        local = np.stack(
            [(x - setting.centre[0] * width) / focal, (y - setting.centre[1] * height) / focal, np.ones_like(x)], -1
        )
        return (local @ rotation).astype(np.float32)

    rows, columns = np.mgrid[:height, :width]
    directions = rays(columns.ravel() + 0.5, rows.ravel() + 0.5)
    distance, face, uv = tracer.first(origin, directions)
    hit = face >= 0
    points = origin + directions * np.where(hit, distance, 0)[:, None]
    flat, normals = tracer.normals(np.where(hit, face, 0), uv, directions)
    shader = Shader(tracer, setting.lighting, photographs, 1 / focal, rng)

    def grid(values: np.ndarray) -> np.ndarray:
        return values.reshape(height, width, *values.shape[1:])

    chosen = np.zeros((height, width), bool)
    chosen[::2, ::2] = True
    half = (len(range(0, height, 2)), len(range(0, width, 2)))
    coarse_hit = chosen.ravel() & hit
    channels = 3 + len(setting.lighting.lamps)
    light = np.zeros((height * width, channels), np.float32)
    light[coarse_hit] = shader.surroundings(points[coarse_hit] + 3e-3 * flat[coarse_hit], flat[coarse_hit])
    finite = np.where(hit, distance, 1e4)
    coarse_depth = finite[chosen.ravel()].reshape(half)
    coarse = _spread(
        light[chosen.ravel()].reshape(*half, channels), coarse_depth, normals[chosen.ravel()].reshape(*half, 3)
    )
    around = _enlarged(coarse, coarse_depth, grid(finite)).reshape(-1, channels)

    def colours(
        directions: np.ndarray, distance: np.ndarray, face: np.ndarray, uv: np.ndarray, around: np.ndarray
    ) -> np.ndarray:
        hit = face >= 0
        result = sky(directions, setting.lighting)
        surface = shader.shade(
            origin + directions[hit] * distance[hit, None],
            face[hit],
            uv[hit],
            directions[hit],
            distance[hit],
            around[hit],
        )
        clear = np.exp(-setting.lighting.haze * distance[hit])[:, None]
        result[hit] = surface * clear + setting.lighting.gradient[0] * (1 - clear)
        return result

    image = grid(colours(directions, distance, face, uv, around))
    owner = grid(np.where(hit, tracer.owner[face], -1))
    edge = _edges(owner, grid(finite), grid(flat))
    y, x = np.nonzero(edge)
    offsets = np.array([(0.125, 0.625), (0.5, 0.125), (0.875, 0.875)])
    more = rays(*(np.add.outer(offset, at).ravel() for offset, at in zip(offsets.T, (x, y), strict=True)))
    again = colours(more, *tracer.first(origin, more), np.tile(grid(around)[y, x], (len(offsets), 1)))
    image[y, x] = (image[y, x] + again.reshape(len(offsets), -1, 3).sum(0)) / (len(offsets) + 1)
    return image.astype(np.float32), grid(distance)


def developed(linear: np.ndarray, rng: Generator) -> np.ndarray:
    """Linear RGB (H,W,3) to uint8: exposure, vignette, white balance, slight blur, shot and read noise, tone curve."""
    height, width, _ = linear.shape
    brightness = linear[::3, ::3].mean(-1)
    middle, bright = np.percentile(brightness, (rng.uniform(50, 85), 95))
    linear = linear * min(rng.uniform(0.25, 0.55) / max(middle, 1e-3), rng.uniform(0.8, 1.6) / max(bright, 1e-3))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    linear = linear * (1 - rng.uniform(0, 0.35) * ((x**2 + y**2) / 2) ** 1.5)[..., None]
    linear = linear * (1 + rng.uniform(-0.09, 0.09, 3))
    sharp = rng.uniform(0, 0.28)  # how much each of the neighbours gets: the lens and the sensor's filter
    for axis in (0, 1):
        padded = np.pad(linear, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        low, high = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
        linear = (1 - sharp) * linear + sharp / 2 * (low + high)
    noise_level = float(np.exp(rng.uniform(np.log(0.0015), np.log(0.02))))
    linear = linear + rng.normal(size=linear.shape) * noise_level * np.sqrt(np.clip(linear, 0, None) + 0.02)
    linear = np.clip(linear, 0, None)
    curve = rng.uniform(0, 1)
    soft = linear / (1 + 0.45 * linear) * 1.25
    tone = np.clip(curve * soft + (1 - curve) * linear, 0, 1) ** (1 / 2.2)
    contrast = rng.uniform(-0.1, 0.35)
    tone = tone + contrast * (tone - 0.5) * tone * (1 - tone) * 2
    grey = tone.mean(-1, keepdims=True)
    tone = grey + (tone - grey) * rng.uniform(0.75, 1.25)
    return (255 * np.clip(tone, 0, 1) + 0.5).astype(np.uint8)
