from django.contrib import admin


class ConsoleSite(admin.AdminSite):
    site_header = "Bay Wheels dispatch"
    site_title = "Bay Wheels dispatch"
    index_title = "Console"
    site_url = None
    enable_nav_sidebar = False
