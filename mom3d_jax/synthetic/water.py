"""Painted water: tables over (x / z, distance) as the input camera sees them, in linear light."""

import numpy as np

from mom3d_jax.synthetic import painting
from mom3d_jax.synthetic.fan import Fan, ground_row
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Colours, Plane, mix
from mom3d_jax.synthetic.terrain import Terrain


def panorama(fan: Fan, terrain: Terrain, eye: float, land: Colours, sky: Colours, far: float) -> tuple[Colours, Plane]:
    """What the input camera would see over (x / z, slope) without water: colour, and its distance z.

    Args:
      fan: coordinates of the picture.
      terrain: where the land is.
      eye: height of the camera.
      land: linear colour of the land, on the terrain's table.
      sky: linear colour of the sky, on `fan`.
      far: distance of the sky.
    """
    u, slope = np.meshgrid(fan.directions(), fan.row_coordinates())
    direction = np.stack([u, slope, np.ones_like(u)], axis=-1).reshape(-1, 3).astype(np.float64)
    distance = terrain.trace(np.array([0, eye, 0]), direction, 4)
    hit = np.isfinite(distance)
    colour = sky.reshape(-1, 3).copy()
    colour[hit] = terrain.fan.sample(land, u.ravel()[hit], ground_row(distance[hit]))
    return colour.reshape(sky.shape), np.where(hit, distance, far).reshape(u.shape).astype(np.float32)


def paint_water(
    fan: Fan, eye: float, noise: Noise, *, bed: Colours, view: Fan, seen: Colours, distance: Plane, choppy: float
) -> Colours:
    """Mirrored scenery on ripples, over what shows through the water.

    A facet tilted by (a, b) along x and z sends the ray (u, -s, 1), s = eye / z, to about the slope s + 2 (b + u a).
    From the camera, mirrored scenery at distance d appears at that slope less 2 eye / d. Fresnel's law in Schlick's
    form (1994) with 2 % at normal incidence weighs it against the water. The tilt along x only shifts sideways here.

    Args:
      fan: coordinates of the table.
      eye: height of the camera.
      noise: shape of the ripples.
      bed: linear colour of the water itself, on `fan`.
      view: coordinates of the panorama.
      seen: linear colour of the panorama.
      distance: z of the panorama.
      choppy: tilt of the facets, 0.1 for a breeze.
    """
    x, z = painting.places(fan)
    u = np.broadcast_to(fan.directions(), x.shape)
    s = np.float32(eye) / z
    # A pixel covers z² / eye in depth for every unit of angle.
    footprint = np.maximum(z * z / np.float32(2 * eye), z) * np.float32(2 * fan.reach / fan.columns)
    breeze = 0.45 + 1.1 * smoothstep(-0.35, 0.35, noise.fractal(x * 0.55, z * 0.8, 3))
    tilt = np.float32(choppy) * breeze * noise.fractal(x * 2.4, z * 5.0, 7, footprint=5 * footprint, gain=0.62)
    sideways = (u + 0.5 * tilt).ravel()
    scenery = np.full(x.shape, 14.0, np.float32)
    for _ in range(3):
        slope = np.abs(s + 2 * tilt) - np.float32(2 * eye) / scenery
        scenery = np.maximum(view.sample(distance, sideways, slope.ravel()).reshape(x.shape), z)
    mirrored = view.sample(seen, sideways, slope.ravel()).reshape(*x.shape, 3)
    cosine = np.clip((s + tilt) / np.sqrt(1 + s * s + u * u), 0, 1)
    return mix(bed, mirrored, np.float32(0.02) + np.float32(0.98) * (1 - cosine) ** 5)
