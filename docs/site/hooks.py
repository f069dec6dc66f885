"""What mkdocs does besides for this site: see mkdocs.yml.

The pages are written for GitHub, where they are read as they are. So docs/README.md is the navigation, files that
a page links to outside of docs/ come along, and a page whose Markdown means something else here, or a link that
leads nowhere, is an error.
"""
import os
import posixpath
import re
import subprocess
import tempfile

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

LINK = re.compile(r'(\]\()([^)\s]+)(\))')
LEFT_OVER = re.compile(r'<(?:p|li|td)>(?:[^<]*\n)?(?:- |1\. |\||```|#+ )|<td[^>]*>[^\n]*<code>[^<\n]*\\\|')
anchors, links = {}, []
lists = tempfile.TemporaryDirectory()


def on_config(config):
    """Reads the navigation: a heading is a section, a line of a list is a page."""
    with open(os.path.join(config['docs_dir'], 'README.md'), encoding='utf-8') as f:
        text = f.read()
    nav = [{'Home': 'README.md'}]
    for section in text.split('\n## ')[1:]:
        title, _, body = section.partition('\n')
        pages = re.findall(r'^- \[([^\]]+)\]\(([^)]+)\)', body, re.M)
        nav.append({title: [{name: place(config['docs_dir'], path)} for name, path in pages]})
    config['nav'] = nav
    return config


def on_files(files, config):
    """Leaves out what is no page, and brings along what pages link to outside of docs/."""
    docs = config['docs_dir']
    for f in list(files):
        if f.src_path.endswith(('.go', '.py')):
            files.remove(f)
    outside = {}
    pending = [f.src_path for f in files.documentation_pages()]
    while pending:
        page = pending.pop()
        with open(os.path.join(docs, page), encoding='utf-8') as f:
            targets = [resolve(page, target) for _, target, _ in LINK.findall(f.read())]
        for path in targets:
            if not path or path in outside:
                continue
            if os.path.isdir(os.path.join(docs, path)):
                targets += listed(docs, path, outside)
            elif path.startswith('../') and os.path.isfile(os.path.join(docs, path)):
                outside[path] = os.path.join(docs, path)
                if path.endswith('.md'):
                    pending.append(path)
    for path, source in sorted(outside.items()):
        f = File(place(docs, path), docs, config['site_dir'], config['use_directory_urls'])
        f.abs_src_path = source
        files.append(f)
    return files


def listed(docs, path, outside):
    """The files of a folder. Without a README.md of its own it gets a page with links to them."""
    folder = os.path.join(docs, path)
    names = subprocess.run(['git', 'ls-files'], cwd=folder, check=True, capture_output=True, text=True).stdout.split()
    if 'README.md' not in names:
        title = posixpath.normpath('docs/' + path)
        outside[path] = os.path.join(lists.name, title.replace('/', '-') + '.md')
        with open(outside[path], 'w', encoding='utf-8') as f:
            f.write(f'# {title}\n\n' + ''.join(f'- [{name}]({name})\n' for name in names))
    return [path + '/' + name for name in names]


def place(docs, path):
    """Where a file is in the site, by its path from docs/; of a folder, the page that shows it."""
    at = 'repository/' + path[3:] if path.startswith('../') else path
    folder = os.path.join(docs, path)
    if os.path.isdir(folder):
        at += '/README.md' if os.path.isfile(os.path.join(folder, 'README.md')) else '/index.md'
    return at


def resolve(page, target):
    """The path from docs/ that a link of a page leads to; None for a link to elsewhere."""
    path = target.partition('#')[0]
    if not path or re.match(r'[a-z]+:', path):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return path.removeprefix('../docs/')


def on_page_markdown(markdown, page, config, files):
    """Leads links to the places of files in the site, and indents lists as this Markdown wants them."""
    if page.file.abs_src_path.startswith(lists.name):
        return markdown
    docs = config['docs_dir']
    source = posixpath.relpath(page.file.abs_src_path, docs)

    def lead(m):
        path, sharp, anchor = m.group(2).partition('#')
        to = resolve(source, path)
        if not to:
            return m.group(0)
        return m.group(1) + posixpath.relpath(place(docs, to), posixpath.dirname(page.file.src_path) or '.') + sharp + anchor + m.group(3)

    return indented(LINK.sub(lead, markdown))


def indented(markdown):
    """Indents what belongs to an item of a list by four columns, as Python-Markdown wants it."""
    lines, width = [], 0
    for line in markdown.split('\n'):
        item = re.match(r'(?:-|\d+\.) +', line)
        if item:
            width = len(item.group(0))
        elif line and not line.startswith(' '):
            width = 0
        if width and line.startswith(' ' * width):
            line = ' ' * (4 - width) + line
        lines.append(line)
    return '\n'.join(lines)


def on_page_content(html, page, config, files):
    """Looks for Markdown that is left in the page, and notes anchors and links."""
    left = LEFT_OVER.search(html)
    if left:
        raise PluginError(f'{page.file.src_path}: Markdown that means something else here than on GitHub: {html[left.start():left.start() + 200]!r}')
    anchors[page.file.url] = set(re.findall(r'\bid="([^"]+)"', html)) | {''}
    for target in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', html):
        if not re.match(r'[a-z]+:', target):
            links.append((page.file.url, target))
    return html


def on_post_build(config):
    """Follows each link to its file and its anchor."""
    dead = []
    for page, target in links:
        path, _, anchor = target.partition('#')
        to = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        if not os.path.isfile(os.path.join(config['site_dir'], to)) or anchor not in anchors.get(to, {''}):
            dead.append(f'{page}: {target}')
    if dead:
        raise PluginError('links that lead nowhere:\n  ' + '\n  '.join(sorted(set(dead))))
    print(f'{len(anchors)} pages, {len(links)} links, none of them dead')
