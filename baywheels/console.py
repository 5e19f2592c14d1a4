from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import UsernameField


class SignInForm(AdminAuthenticationForm):
    """Django's own takes names of any length, and failed ones are kept in a column."""

    username = UsernameField(max_length=150, widget=forms.TextInput(attrs={"autofocus": True}))


class ConsoleSite(admin.AdminSite):
    site_header = "Bay Wheels dispatch"
    site_title = "Bay Wheels dispatch"
    index_title = "Console"
    site_url = None
    enable_nav_sidebar = False
    login_form = SignInForm
