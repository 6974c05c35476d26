"""An artifact as a static page that draws a photo's maps in the browser: a folder for any web server.

web_runtime.py: ONNX Runtime Web's files at a pinned version: where they are found, by hash; npm fetches them
site_content.py: which files of the artifact and of the JavaScript package a page has; site.json
site_writing.py: write_page: the folder appears whole or not at all; replaces nothing but an unchanged page
"""
