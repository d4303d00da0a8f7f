"""Glyphs in unusual poses on tinted grounds: the stand-in for ObjectNet.

The SVG itself is turned, shifted, sheared and recoloured, so nothing is resampled.
"""

import colorsys

from clipcause.icons.roles import fraction


def distort(svg: str, strength: float, *identity: str) -> str:
    """``svg`` in a pose and in colours that depend on ``identity`` alone.

    ``strength`` 1 turns by up to 45°, shears by up to 20°, shrinks to between 0.55 and 0.9 of the
    picture and shifts by up to 15 % of it, dark ink on a light tint; 0 leaves the pose alone.
    """

    def signed(what: str) -> float:
        return strength * (2.0 * fraction("distort", what, *identity) - 1.0)

    turn, shear = 45.0 * signed("turn"), 20.0 * signed("shear")
    across, down = 15.0 * signed("across"), 15.0 * signed("down")
    # one-sided: an icon fills its square already, so it can only shrink
    scale = 1.0 - strength * (0.1 + 0.35 * fraction("distort", "scale", *identity))
    hue = fraction("distort", "hue", *identity)
    ground = _hex(hue, 0.82 + 0.1 * fraction("distort", "ground", *identity), 0.6)
    ink = _hex(hue + 0.3 + 0.4 * fraction("distort", "ink", *identity), 0.28, 0.7)
    drawing = svg.replace("<svg ", '<svg x="-50" y="-50" width="100" height="100" ', 1).replace(
        'color="#000"', f'color="{ink}"', 1
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<rect width="100" height="100" fill="{ground}"/>'
        f'<g transform="translate({50 + across:.3f} {50 + down:.3f}) rotate({turn:.3f}) '
        f'skewX({shear:.3f}) scale({scale:.4f})">{drawing}</g></svg>'
    )


def _hex(hue: float, lightness: float, saturation: float) -> str:
    channels = colorsys.hls_to_rgb(hue % 1.0, lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
