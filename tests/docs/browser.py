# SPDX-License-Identifier: MIT
"""browser.py DIR SHOTS: the pages in DIR as a reader's browser shows them.

Drives headless Chromium through chromedriver, by WebDriver's plain HTTP. Every page is opened from
its file, some from a local server: nothing may complain, be wider than the window (of a desk, of a
phone) or be cut off; text must stand out from its ground, light and dark; the search finds. Pictures
of the main pages go into SHOTS.
"""
import base64
import functools
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 240
DESK, PHONE = (1280, 900), (390, 844)
MAIN = ["index", "guide", "guide_queue", "guide_pool", "group__queue", "reference", "from_python", "examples",
        "chapter_programs", "gallery", "recipes", "deaths", "performance"]
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-breakpad", "--disable-crash-reporter", "--hide-scrollbars", "--force-device-scale-factor=1"]

# What is wider than the window, and what is cut off where nobody can scroll to it.
WIDTH = """
const wide = document.documentElement.scrollWidth, room = document.documentElement.clientWidth, found = [];
if (wide > room) {
    let worst = null;
    for (const e of document.querySelectorAll('main *'))
        if (e.getBoundingClientRect().right > room + 1 && !e.closest('.table, .fragment, .sequence, .dotgraph'))
            worst = worst || e;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
    while (!worst && walker.nextNode()) {
        range.selectNodeContents(walker.currentNode);
        if ([...range.getClientRects()].some((box) => box.right > room + 1))
            worst = walker.currentNode.parentElement;
    }
    found.push(`${wide} wide in a window of ${room}: ` + (worst ? worst.outerHTML.slice(0, 90) : ''));
}
for (const e of document.querySelectorAll('main pre, main code, main div, main table, main td, main p, main svg')) {
    if (!e.clientWidth || e.scrollWidth <= e.clientWidth + 1)
        continue;
    const how = getComputedStyle(e).overflowX;
    if (how === 'hidden' || how === 'clip')
        found.push('cut off: ' + e.outerHTML.slice(0, 90));
}
return found;
"""

# Text whose colour is too near to that of its ground, by the rule of WCAG AA.
CONTRAST = """
const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const v = c[i] / 255;
    return sum + w * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
}, 0);
const found = new Map(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || e.closest('script, style, title, desc, .ttc, [hidden]'))
        continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || style.visibility === 'hidden' || Number(style.opacity) === 0)
        continue;
    const layers = [];
    for (let up = e; up; up = up.parentElement)
        layers.push(parse(getComputedStyle(up).backgroundColor));
    if (e.closest('svg')) {
        const rect = e.previousElementSibling, around = rect && rect.getBoundingClientRect();
        if (rect && rect.tagName === 'rect' && around.left <= box.left && around.right >= box.right)
            layers.unshift(parse(getComputedStyle(rect).fill));
    }
    const ground = layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    const ink = over(parse(e.closest('svg') ? style.fill : style.color), ground);
    const pair = [light(ink), light(ground)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 600);
    if (ratio < (large ? 3 : 4.5))
        found.set(e.tagName + '.' + (e.getAttribute('class') || ''),
            `contrast ${ratio.toFixed(1)}: <${e.tagName} class="${e.getAttribute('class') || ''}"> ` +
            walker.currentNode.textContent.trim().slice(0, 40));
}
return [...found.values()];
"""


class Browser:
    """Chromium by way of chromedriver, in a directory of its own."""

    def __init__(self, directory):
        self.session = self.port = None
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True,
                                       env={**os.environ, "TMPDIR": directory, "HOME": directory,
                                            "XDG_CONFIG_HOME": directory, "XDG_CACHE_HOME": directory})
        try:
            self.start(os.path.join(directory, "profile"))
        except BaseException:
            self.close()
            raise

    def start(self, profile):
        for line in self.driver.stdout:
            port = re.search(r"successfully on port (\d+)", line)
            if port:
                self.port = int(port[1])
                break
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": OPTIONS + [f"--user-data-dir={profile}"], "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = answer["sessionId"]

    def call(self, method, path, body=None):
        prefix = f"/session/{self.session}" if self.session else ""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, prefix + path, json.dumps(body or {}) if method == "POST" else None)
        value = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(value["message"])
        return value

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address):
        self.call("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)

    def prefer(self, theme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def complaints(self):
        return [f"{entry['level']}: {entry['message']}" for entry in self.call("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def type(self, text):
        field = next(iter(self.call("POST", "/element", {"using": "css selector", "value": "#search"}).values()))
        self.call("POST", f"/element/{field}/clear")
        self.call("POST", f"/element/{field}/value", {"text": text})

    def shot(self, path, most=5000):
        height = min(self.run("return document.documentElement.scrollHeight"), most)
        width = self.run("return document.documentElement.clientWidth")
        self.size(width, height)
        picture = self.devtools("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(picture))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            self.driver.stdout.close()


def processes_of(directory):
    """Who was started with the directory in its command line or its environment."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if directory.encode() in told and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def until(condition, what):
    limit = time.monotonic() + 20
    while not condition():
        if time.monotonic() > limit:
            return [f"{what}: waited in vain"]
        time.sleep(0.02)
    return []


def look(browser, address):
    """What is wrong with a page on a desk and on a phone."""
    browser.size(*DESK)
    browser.open(address)
    wrong = browser.run(WIDTH)
    browser.size(*PHONE)
    return wrong + browser.run(WIDTH) + browser.complaints()


def search(browser, start):
    """Types a name and opens what is found, with keys alone."""
    browser.size(*DESK)
    browser.open(start)
    browser.type("mp_queue_put")
    first = "const a = document.querySelector('#results li[aria-selected] a'); return a && a.textContent"
    wrong = until(lambda: (browser.run(first) or "").startswith("mp_queue_put"), "search")
    target = browser.run("return document.querySelector('#results li[aria-selected] a').hash") if not wrong else ""
    browser.type("\ue007")  # Enter; the field is cleared first, so type once more
    browser.type("mp_queue_put\ue007")
    wrong += until(lambda: "group__queue.html#" in browser.call("GET", "/url"), "search, opened")
    if target and target not in browser.call("GET", "/url"):
        wrong.append("search: opened another place than shown")
    if not wrong and not browser.run("return document.getElementById(location.hash.slice(1)) !== null"):
        wrong.append("search: opened a place that is not there")
    browser.open(start)
    browser.type("install")
    shown = "return [...document.querySelectorAll('#results a')].some((a) => a.href.includes('index.html#'))"
    wrong += until(lambda: browser.run(shown), "search in texts")
    browser.type("xyzzy")
    wrong += until(lambda: browser.run("return document.querySelector('#results .none') !== null"), "nothing found")
    return wrong + browser.complaints()


def toggle(browser, start):
    """The theme follows the system until the reader chooses, and then stays, also on the next page."""
    wrong = []
    dark = "return document.documentElement.classList.contains('dark-mode')"
    browser.prefer("light")
    browser.open(start)
    if browser.run(dark):
        wrong.append("dark in a light system")
    browser.prefer("dark")
    browser.open(start)
    if not browser.run(dark):
        wrong.append("light in a dark system")
    browser.run("document.getElementById('theme').click()")
    browser.open(start.replace("index.html", "guide.html"))
    if browser.run(dark):
        wrong.append("the choice is forgotten")
    browser.run("document.getElementById('theme').click()")
    if not browser.run(dark):
        wrong.append("the theme does not change")
    browser.prefer("light")
    return wrong


def menu(browser, start):
    """On a phone the menu is behind its button."""
    browser.size(*PHONE)
    browser.open(start)
    shown = "return getComputedStyle(document.getElementById('menu')).visibility === 'visible'"
    wrong = ["the menu covers the phone"] if browser.run(shown) else []
    browser.run("document.getElementById('menu-button').click()")
    return wrong + until(lambda: browser.run(shown), "menu")


def shots(browser, root, names, directory):
    """Pictures of the main pages; what cannot be read in them."""
    wrong = []
    for theme in ("light", "dark"):
        browser.prefer(theme)
        for name in names:
            browser.size(*DESK)
            browser.open((root / f"{name}.html").as_uri())
            wrong += [f"{name}.html, {theme}: {what}" for what in browser.run(CONTRAST)]
            browser.shot(directory / f"{name}-{theme}-desk.png")
            browser.size(*PHONE)
            browser.shot(directory / f"{name}-{theme}-phone.png")
    browser.prefer("light")
    return wrong + browser.complaints()


def self_test(browser, directory):
    """Each kind of fault is seen."""
    bad = pathlib.Path(directory) / "bad.html"
    bad.write_text("""<!DOCTYPE html><html lang="en"><body><main><div style="width:600px">wide</div>
        <p style="color:#999">pale</p><pre style="overflow:hidden;width:40px">cut off here</pre></main>
        <script>console.error("an error")</script><script src="gone.js"></script></body></html>""")
    seen = " / ".join(look(browser, bad.as_uri()) + browser.run(CONTRAST))
    for fault in ("608 wide", "cut off", "an error", "gone.js", "contrast 2.8"):
        if fault not in seen:
            sys.exit(f"browser.py does not see: {fault}; it sees: {seen}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main(directory, shots_directory):
    began = time.monotonic()
    # Whoever ends this early, or waits too long, finds no browser left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("out of time"))
    signal.alarm(LIMIT)
    root, pictures = pathlib.Path(directory).resolve(), pathlib.Path(shots_directory)
    pictures.mkdir(parents=True, exist_ok=True)
    pages = sorted(path.name for path in root.glob("*.html"))
    names = [name for name in MAIN if f"{name}.html" in pages]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = f"http://127.0.0.1:{server.server_port}/"
    wrong = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        browser = Browser(scratch)
        try:
            self_test(browser, scratch)
            for name in pages:
                wrong += [f"{name}: {what}" for what in look(browser, (root / name).as_uri())]
            for name in names:
                wrong += [f"{name}.html, served: {what}" for what in look(browser, f"{served}{name}.html")]
            for start in ((root / "index.html").as_uri(), served + "index.html"):
                for test in (search, toggle, menu):
                    wrong += [f"{start}: {what}" for what in test(browser, start)]
            wrong += shots(browser, root, names, pictures)
        finally:
            browser.close()
            server.shutdown()
            server.server_close()
        wrong += until(lambda: not processes_of(scratch), "the browser's end")
    for what in wrong[:40]:
        print(what[:200])
    print(f"{len(pages)} pages in a browser, {len(list(pictures.glob('*.png')))} pictures in {shots_directory},"
          f" {time.monotonic() - began:.0f} s")
    if wrong:
        sys.exit(f"{len(wrong)} faults")


if __name__ == "__main__":
    main(*sys.argv[1:])
