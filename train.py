"""One photo in, a moving 3D scene out.

    python train.py --config=configs/preview.py --input=photo.jpg --workdir=out/photo

Any setting can be changed on the command line, for example --config.time.frames=90. A second run with the same
settings goes on where the first one stopped.
"""

import sys

from mom3d_jax import cli


def main() -> None:
    """Run the whole pipeline and print its figures."""
    cli.parse(sys.argv, usage=(__doc__ or "").strip())

    def run() -> None:
        from mom3d_jax import pipeline, summary

        config, workdir, force = cli.job()
        figures = pipeline.run(config, workdir, force=force)
        print(summary.table(figures, workdir))

    cli.guarded(run)


if __name__ == "__main__":
    main()
