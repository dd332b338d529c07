"""Flask: the request, the decorators, the cookies and the pages."""
