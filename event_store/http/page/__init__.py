"""The store's web page: static files that any browser runs as they are."""

from event_store.http.page.files import PAGE, PageFile, page_file

__all__ = ["PAGE", "PageFile", "page_file"]
