"""What Flask-Login says of itself, for those who ask its name and version: here, the version whose names these are."""

__title__ = "Flask-Login"
__description__ = "The names of Flask-Login on the sessions of flask-corbado-session"
__url__ = ""
__version_info__ = ("0", "6", "3")
__version__ = ".".join(__version_info__)
__author__ = "the authors of flask-corbado-session"
__author_email__ = ""
__maintainer__ = __author__
__license__ = "BSD-3-Clause"
__copyright__ = "the authors of flask-corbado-session"
