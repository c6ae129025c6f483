"""What every report looks like: style, legend, and the script that enlarges a picture."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2429; --soft: #5d6b73; --line: #d8dee2; --paper: #fff; --tint: #f3f6f7;
  --accent: #0b6e75; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebee; --soft: #9aa8b0; --line: #36424a; --paper: #14191d;
  --tint: #1d252a; --accent: #5cc5cd; --bad: #f2938c } }
* { box-sizing: border-box }
body { margin: 0; color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif }
header, main { max-width: 1500px; margin: auto; padding: 0 24px }
header { padding-top: 28px } header p { color: var(--soft); margin: 0 }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 18px; margin: 34px 0 10px } h3 { font-size: 15px; margin: 18px 0 8px }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 7px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { background: var(--tint); font-weight: 600; vertical-align: bottom }
th[scope=row], .word { text-align: left } tbody tr:last-child > * { border-bottom: 0 }
thead th:first-child { text-align: left }
table th[scope=row], thead th:first-child { position: sticky; left: 0; background: var(--paper); z-index: 1 }
thead th:first-child { background: var(--tint) }
td small, th small { display: block; color: var(--soft); font-weight: 400; font-size: 12px }
.best { color: var(--accent); font-weight: 700 } .none { color: var(--soft) } .bad { color: var(--bad) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 12px 0 0; font-size: 14px }
dt { font-weight: 600 } dd { margin: 0; color: var(--soft) }
.legend { color: var(--soft); font-size: 13px; margin: 8px 0 0; max-width: 110ch }
details { margin: 10px 0 } summary { cursor: pointer; font-weight: 600; padding: 6px 0 }
.frames th { font-weight: 400 } .frames thead th { text-align: left } .frames td { padding: 4px; text-align: left }
.frames tr > * { border-bottom: 0; vertical-align: top } .frames tr.ours > * { border-top: 1px solid var(--line) }
.frames img { display: block; width: 100%; min-width: 200px; border-radius: 4px; cursor: zoom-in }
td.bad { white-space: normal }
#large { position: fixed; inset: 0; background: #000d; display: none; place-items: center; z-index: 9 }
#large { cursor: zoom-out }
#large.on { display: grid } #large img { width: min(96vw, 160vh); image-rendering: auto; border-radius: 6px }
#large p { color: #ddd; margin: 8px }
"""

LEGEND = """<p class=legend>Mean over scenes, standard deviation under it; the best mean in colour where all rows are
compared with one truth. M.: inside what truly moves. @k: frame k of the standing camera. E warp: temporal warping
error, beside that of the truth. EPE: error of the scene flow to the true one, px. Scene by scene: over the scenes that
both rows have; Δ in dB, row less the one it stands against; ratio, row over it. Error maps: black is equal, the
brightest colour a difference of 0.25 or more. A click enlarges a picture.</p>"""

SCRIPT = """
const large = document.body.appendChild(document.createElement('div'));
large.id = 'large';
large.onclick = () => large.classList.remove('on');
document.addEventListener('keydown', e => { if (e.key === 'Escape') large.classList.remove('on') });
document.querySelectorAll('.frames img').forEach(image => image.onclick = () => {
  const copy = new Image(); copy.src = image.src;
  const words = document.createElement('p'); words.textContent = image.alt;
  const box = document.createElement('div'); box.append(copy, words);
  large.replaceChildren(box); large.classList.add('on');
});
"""
